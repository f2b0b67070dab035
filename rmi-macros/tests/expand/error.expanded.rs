const _: () = {
    use ::rmi_core::__private as __rmi;
    #[allow(unused_imports)]
    use ::rmi_core::__private::Fallback as _;
    #[automatically_derived]
    impl __rmi::RemoteError for DogError {
        const DESCRIPTION: __rmi::ErrorType = __rmi::ErrorType::new(
            &[
                __rmi::ErrorVariant::new(
                    "Dog.asleep",
                    &[
                        __rmi::ErrorField::named::<
                            String,
                        >("name", "String", <__rmi::Probe<String>>::SCHEMA),
                        __rmi::ErrorField::named::<
                            u64,
                        >("until", "u64", <__rmi::Probe<u64>>::SCHEMA),
                    ],
                ),
                __rmi::ErrorVariant::foreign(
                    "builtins",
                    "ValueError",
                    &[
                        __rmi::ErrorField::unnamed::<
                            String,
                        >("String", <__rmi::Probe<String>>::SCHEMA),
                    ],
                ),
                __rmi::ErrorVariant::new(
                    "Dog.Hungry",
                    &[
                        __rmi::ErrorField::unnamed::<
                            u64,
                        >("u64", <__rmi::Probe<u64>>::SCHEMA),
                        __rmi::ErrorField::unnamed::<
                            Food,
                        >("Food", <__rmi::Probe<Food>>::SCHEMA),
                    ],
                ),
                __rmi::ErrorVariant::new("Dog.gone", &[]),
                __rmi::ErrorVariant::new("Dog.leash", &[]).raw(),
                __rmi::ErrorVariant::new(
                        "Dog.bit",
                        &[
                            __rmi::ErrorField::named::<
                                String,
                            >("who", "String", <__rmi::Probe<String>>::SCHEMA),
                        ],
                    )
                    .raw(),
                __rmi::ErrorVariant::new("Dog.unspeakable", &[]).raw(),
            ],
        );
        fn to_exception(&self, __contract: &str) -> __rmi::Exception {
            let __message: &dyn __rmi::Display = self;
            match *self {
                DogError::Asleep { name: ref __field0, until: ref __field1, .. } => {
                    let mut __writer = __rmi::ExceptionWriter::new(
                        __contract,
                        "Dog.asleep",
                        __message,
                    );
                    __rmi::ExceptionWriter::field::<
                        String,
                    >(&mut __writer, "name", __field0);
                    __rmi::ExceptionWriter::field::<
                        u64,
                    >(&mut __writer, "until", __field1);
                    __rmi::ExceptionWriter::finish(__writer)
                }
                DogError::NoTrick { 0: ref __field0, .. } => {
                    let mut __writer = __rmi::ExceptionWriter::foreign(
                        "builtins",
                        "ValueError",
                        __message,
                    );
                    __rmi::ExceptionWriter::arg::<String>(&mut __writer, __field0);
                    __rmi::ExceptionWriter::finish(__writer)
                }
                DogError::Starving { 0: ref __field0, 1: ref __field1, .. } => {
                    let mut __writer = __rmi::ExceptionWriter::new(
                        __contract,
                        "Dog.Hungry",
                        __message,
                    );
                    __rmi::ExceptionWriter::arg::<u64>(&mut __writer, __field0);
                    __rmi::ExceptionWriter::arg::<Food>(&mut __writer, __field1);
                    __rmi::ExceptionWriter::finish(__writer)
                }
                DogError::Gone { .. } => {
                    let __writer = __rmi::ExceptionWriter::new(
                        __contract,
                        "Dog.gone",
                        __message,
                    );
                    __rmi::ExceptionWriter::finish(__writer)
                }
                DogError::Leash { .. } => {
                    let __writer = __rmi::ExceptionWriter::new(
                        __contract,
                        "Dog.leash",
                        __message,
                    );
                    __rmi::ExceptionWriter::finish(__writer)
                }
                DogError::Bit { who: ref __field0, .. } => {
                    let mut __writer = __rmi::ExceptionWriter::new(
                        __contract,
                        "Dog.bit",
                        __message,
                    );
                    __rmi::ExceptionWriter::field::<
                        String,
                    >(&mut __writer, "who", __field0);
                    __rmi::ExceptionWriter::finish(__writer)
                }
                DogError::Unspeakable { .. } => {
                    let __writer = __rmi::ExceptionWriter::new(
                        __contract,
                        "Dog.unspeakable",
                        __message,
                    );
                    __rmi::ExceptionWriter::finish(__writer)
                }
            }
        }
        fn from_exception(
            __exception: &__rmi::Exception,
            __contract: &str,
        ) -> __rmi::Option<Self> {
            if let __rmi::Some(__reader) = __rmi::ExceptionReader::new(
                __exception,
                __contract,
                "Dog.asleep",
            ) {
                return __rmi::Some(DogError::Asleep {
                    name: __rmi::ExceptionReader::field::<String>(&__reader, "name")?,
                    until: __rmi::ExceptionReader::field::<u64>(&__reader, "until")?,
                });
            }
            if let __rmi::Some(__reader) = __rmi::ExceptionReader::foreign(
                __exception,
                "builtins",
                "ValueError",
            ) {
                return __rmi::Some(DogError::NoTrick {
                    0: __rmi::ExceptionReader::arg::<String>(&__reader, 0usize)?,
                });
            }
            if let __rmi::Some(__reader) = __rmi::ExceptionReader::new(
                __exception,
                __contract,
                "Dog.Hungry",
            ) {
                return __rmi::Some(DogError::Starving {
                    0: __rmi::ExceptionReader::arg::<u64>(&__reader, 0usize)?,
                    1: __rmi::ExceptionReader::arg::<Food>(&__reader, 1usize)?,
                });
            }
            if let __rmi::Some(_) = __rmi::ExceptionReader::new(
                __exception,
                __contract,
                "Dog.gone",
            ) {
                return __rmi::Some(DogError::Gone {});
            }
            __rmi::None
        }
    }
};
