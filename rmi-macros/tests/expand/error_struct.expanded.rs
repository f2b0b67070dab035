const _: () = {
    use ::rmi_core::__private as __rmi;
    #[allow(unused_imports)]
    use ::rmi_core::__private::Fallback as _;
    #[automatically_derived]
    impl __rmi::RemoteError for PoolFull {
        const DESCRIPTION: __rmi::ErrorType = __rmi::ErrorType::new(
            &[
                __rmi::ErrorVariant::foreign(
                    "dhcp",
                    "pools.PoolFull",
                    &[
                        __rmi::ErrorField::named::<
                            String,
                        >("poolName", "String", <__rmi::Probe<String>>::SCHEMA),
                        __rmi::ErrorField::named::<
                            u32,
                        >("capacity", "u32", <__rmi::Probe<u32>>::SCHEMA),
                    ],
                ),
            ],
        );
        fn to_exception(&self, __contract: &str) -> __rmi::Exception {
            let __message: &dyn __rmi::Display = self;
            match *self {
                PoolFull { pool_name: ref __field0, size: ref __field1, .. } => {
                    let mut __writer = __rmi::ExceptionWriter::foreign(
                        "dhcp",
                        "pools.PoolFull",
                        __message,
                    );
                    __rmi::ExceptionWriter::field::<
                        String,
                    >(&mut __writer, "poolName", __field0);
                    __rmi::ExceptionWriter::field::<
                        u32,
                    >(&mut __writer, "capacity", __field1);
                    __rmi::ExceptionWriter::finish(__writer)
                }
            }
        }
        fn from_exception(
            __exception: &__rmi::Exception,
            __contract: &str,
        ) -> __rmi::Option<Self> {
            if let __rmi::Some(__reader) = __rmi::ExceptionReader::foreign(
                __exception,
                "dhcp",
                "pools.PoolFull",
            ) {
                return __rmi::Some(PoolFull {
                    pool_name: __rmi::ExceptionReader::field::<
                        String,
                    >(&__reader, "poolName")?,
                    size: __rmi::ExceptionReader::field::<u32>(&__reader, "capacity")?,
                });
            }
            __rmi::None
        }
    }
};
const _: () = {
    use ::rmi_core::__private as __rmi;
    #[allow(unused_imports)]
    use ::rmi_core::__private::Fallback as _;
    #[automatically_derived]
    impl __rmi::RemoteError for PoolIsGone {
        const DESCRIPTION: __rmi::ErrorType = __rmi::ErrorType::new(
            &[__rmi::ErrorVariant::new("Gone", &[])],
        );
        fn to_exception(&self, __contract: &str) -> __rmi::Exception {
            let __message: &dyn __rmi::Display = self;
            match *self {
                PoolIsGone { .. } => {
                    let __writer = __rmi::ExceptionWriter::new(
                        __contract,
                        "Gone",
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
            if let __rmi::Some(_) = __rmi::ExceptionReader::new(
                __exception,
                __contract,
                "Gone",
            ) {
                return __rmi::Some(PoolIsGone {});
            }
            __rmi::None
        }
    }
};
