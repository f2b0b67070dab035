#[allow(dead_code)]
trait Clock: acme::bus::rmi::__private::Send + acme::bus::rmi::__private::Sync + 'static {
    fn now(
        &self,
    ) -> impl acme::bus::rmi::__private::Future<
        Output = Result<u64, ClockError>,
    > + acme::bus::rmi::__private::Send;
}
/// Calls a [`Clock`] that is served elsewhere.
#[derive(acme::bus::rmi::__private::Clone)]
#[allow(dead_code)]
struct ClockClient {
    __stub: acme::bus::rmi::__private::Stub,
}
const _: () = {
    use acme::bus::rmi::__private as __rmi;
    #[allow(unused_imports)]
    use acme::bus::rmi::__private::Fallback as _;
    #[allow(non_camel_case_types)]
    enum __Number {
        now,
    }
    static __CONTRACT: __rmi::Contract = __rmi::Contract::new(
            "Clock",
            __rmi::Version {
                major: 1u16,
                minor: 0u16,
            },
            &[
                __rmi::Method::new("now", &[])
                    .returns(
                        <Result<u64, ClockError> as __rmi::MethodResult>::RETURNED,
                        "u64",
                        "ClockError",
                        <__rmi::Probe<
                            <Result<u64, ClockError> as __rmi::MethodResult>::Ok,
                        >>::SCHEMA,
                    ),
            ],
        )
        .path(__rmi::concat!(__rmi::module_path!(), "::Clock"));
    #[allow(dead_code, clippy::type_complexity)]
    impl ClockClient {
        /// Calls `Clock::now`.
        pub fn now(
            &self,
        ) -> __rmi::Call<
            <Result<u64, ClockError> as __rmi::MethodResult>::Ok,
            <Result<u64, ClockError> as __rmi::MethodResult>::Err,
        > {
            const __METHOD: &__rmi::Method = &__CONTRACT.methods[__Number::now as usize];
            let __args = __rmi::ArgumentsWriter::new(__METHOD);
            __rmi::call::<Result<u64, ClockError>, _>(&self.__stub, __METHOD, __args)
        }
    }
    impl __rmi::Client for ClockClient {
        const CONTRACT: &'static __rmi::Contract = &__CONTRACT;
        fn from_stub(__stub: __rmi::Stub) -> Self {
            Self { __stub }
        }
        fn stub(&self) -> &__rmi::Stub {
            &self.__stub
        }
    }
    impl __rmi::Debug for ClockClient {
        fn fmt(&self, __f: &mut __rmi::Formatter<'_>) -> __rmi::FmtResult {
            __rmi::debug(__f, "ClockClient", &self.__stub)
        }
    }
};
