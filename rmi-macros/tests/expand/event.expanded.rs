const _: () = {
    use ::rmi_core::__private as __rmi;
    #[allow(unused_imports)]
    use ::rmi_core::__private::Fallback as _;
    static __EVENTS: __rmi::EventContract = __rmi::EventContract::new(
            "Dog",
            &[
                __rmi::EventKind::new(
                        "Barked",
                        "dog.barked.{name}.loudly",
                        &[
                            __rmi::EventField::new("name", "String").in_key(),
                            __rmi::EventField::new("theWords", "Vec<String>")
                                .probed(<__rmi::Probe<Vec<String>>>::SCHEMA),
                        ],
                    )
                    .docs("A dog has barked."),
                __rmi::EventKind::new(
                    "Moved",
                    "{kennel}.{dog}",
                    &[
                        __rmi::EventField::new("dog", "Name")
                            .probed(<__rmi::Probe<Name>>::SCHEMA)
                            .in_both(),
                        __rmi::EventField::new("since", "u64")
                            .probed(<__rmi::Probe<u64>>::SCHEMA)
                            .with_default(),
                        __rmi::EventField::new("kennel", "u32").in_key(),
                        __rmi::EventField::new("type", "Option<Breed>")
                            .probed(<__rmi::Probe<Option<Breed>>>::SCHEMA),
                    ],
                ),
                __rmi::EventKind::new("AllAsleep", "dog.all.asleep", &[]),
            ],
        )
        .docs("What dogs do.");
    #[automatically_derived]
    impl __rmi::RemoteEvent for DogEvent {
        const EVENTS: &'static __rmi::EventContract = &__EVENTS;
        fn to_event(&self) -> __rmi::Result<__rmi::Event, __rmi::EventError> {
            let mut __writer = __rmi::EventWriter::new();
            match *self {
                DogEvent::Barked { name: ref __field0, the_words: ref __field1 } => {
                    __rmi::EventWriter::words(&mut __writer, "dog.barked");
                    __rmi::EventWriter::word::<String>(&mut __writer, "name", __field0);
                    __rmi::EventWriter::words(&mut __writer, "loudly");
                    __rmi::EventWriter::field::<
                        Vec<String>,
                    >(&mut __writer, "theWords", __field1);
                }
                DogEvent::Moved {
                    dog_name: ref __field0,
                    since: ref __field1,
                    kennel: ref __field2,
                    r#type: ref __field3,
                } => {
                    __rmi::EventWriter::word::<u32>(&mut __writer, "kennel", __field2);
                    __rmi::EventWriter::word::<Name>(&mut __writer, "dog", __field0);
                    __rmi::EventWriter::field::<Name>(&mut __writer, "dog", __field0);
                    __rmi::EventWriter::field::<u64>(&mut __writer, "since", __field1);
                    __rmi::EventWriter::field::<
                        Option<Breed>,
                    >(&mut __writer, "type", __field3);
                }
                DogEvent::AllAsleep {} => {
                    __rmi::EventWriter::words(&mut __writer, "dog.all.asleep");
                }
            }
            __rmi::EventWriter::finish(__writer)
        }
        fn from_event(
            __event: &__rmi::Event,
        ) -> __rmi::Option<__rmi::Result<Self, __rmi::EventError>> {
            __rmi::EventReader::read(
                __event,
                &__EVENTS,
                |__reader, __kind| match __kind {
                    0usize => {
                        __rmi::Ok(DogEvent::Barked {
                            name: __rmi::EventReader::word::<
                                String,
                            >(__reader, 2usize, "name")?,
                            the_words: __rmi::EventReader::field::<
                                Vec<String>,
                            >(__reader, "theWords")?,
                        })
                    }
                    1usize => {
                        __rmi::Ok(DogEvent::Moved {
                            dog_name: __rmi::EventReader::word::<
                                Name,
                            >(__reader, 1usize, "dog")?,
                            since: __rmi::EventReader::or_default::<
                                u64,
                            >(__reader, "since")?,
                            kennel: __rmi::EventReader::word::<
                                u32,
                            >(__reader, 0usize, "kennel")?,
                            r#type: __rmi::EventReader::field::<
                                Option<Breed>,
                            >(__reader, "type")?,
                        })
                    }
                    2usize => __rmi::Ok(DogEvent::AllAsleep {}),
                    _ => __rmi::Err(__rmi::EventReader::unknown(__reader)),
                },
            )
        }
    }
};
