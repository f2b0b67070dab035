const _: () = {
    use elsewhere::rmi::__private as __rmi;
    #[allow(unused_imports)]
    use elsewhere::rmi::__private::Fallback as _;
    static __EVENTS: __rmi::EventContract = __rmi::EventContract::new(
        "Leased",
        &[
            __rmi::EventKind::new(
                "Leased",
                "lease.{node}",
                &[
                    __rmi::EventField::new("node", "NodeId").in_key(),
                    __rmi::EventField::new("ip", "Ipv4Addr")
                        .probed(<__rmi::Probe<Ipv4Addr>>::SCHEMA),
                ],
            ),
        ],
    );
    #[automatically_derived]
    impl __rmi::RemoteEvent for Leased {
        const EVENTS: &'static __rmi::EventContract = &__EVENTS;
        fn to_event(&self) -> __rmi::Result<__rmi::Event, __rmi::EventError> {
            let mut __writer = __rmi::EventWriter::new();
            match *self {
                Leased { node: ref __field0, ip: ref __field1 } => {
                    __rmi::EventWriter::words(&mut __writer, "lease");
                    __rmi::EventWriter::word::<NodeId>(&mut __writer, "node", __field0);
                    __rmi::EventWriter::field::<Ipv4Addr>(&mut __writer, "ip", __field1);
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
                        __rmi::Ok(Leased {
                            node: __rmi::EventReader::word::<
                                NodeId,
                            >(__reader, 1usize, "node")?,
                            ip: __rmi::EventReader::field::<Ipv4Addr>(__reader, "ip")?,
                        })
                    }
                    _ => __rmi::Err(__rmi::EventReader::unknown(__reader)),
                },
            )
        }
    }
};
