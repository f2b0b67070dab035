trait Clock: ::rmi_core::__private::Send + ::rmi_core::__private::Sync + 'static {
    fn now(
        &self,
    ) -> impl ::rmi_core::__private::Future<
        Output = Result<u64, ClockError>,
    > + ::rmi_core::__private::Send;
}
/// Serves any [`Clock`].
#[allow(dead_code)]
struct ClockServer<S> {
    __instances: ::rmi_core::__private::Instances<S>,
}
const _: () = {
    use ::rmi_core::__private as __rmi;
    #[allow(unused_imports)]
    use ::rmi_core::__private::Fallback as _;
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
        .path(__rmi::concat!(__rmi::module_path!(), "::Clock"))
        .sequential();
    #[allow(dead_code)]
    impl<S> ClockServer<S> {
        /// Serves every request from one instance.
        pub fn new(service: S) -> Self {
            Self {
                __instances: __rmi::Instances::shared(service),
            }
        }
        /// Serves each request from an instance of its own, made from the request's constructor arguments. An error of the
        /// factory is the outcome of the request.
        pub fn per_call<A, E>(
            factory: impl __rmi::Fn(
                A,
            ) -> __rmi::Result<S, E> + __rmi::Send + __rmi::Sync + 'static,
        ) -> Self
        where
            A: __rmi::DeserializeOwned,
            E: __rmi::RemoteError,
        {
            Self {
                __instances: __rmi::Instances::per_call(factory),
            }
        }
    }
    impl<S> __rmi::Debug for ClockServer<S> {
        fn fmt(&self, __f: &mut __rmi::Formatter<'_>) -> __rmi::FmtResult {
            __rmi::debug(__f, "ClockServer", &self.__instances)
        }
    }
    impl<__S: Clock> __rmi::Server for ClockServer<__S> {
        type Instance = __S;
        const CONTRACT: &'static __rmi::Contract = &__CONTRACT;
        fn of(__instances: __rmi::Instances<__S>) -> Self {
            Self { __instances }
        }
    }
    impl<__S: Clock> __rmi::Service for ClockServer<__S> {
        fn contract(&self) -> &'static __rmi::Contract {
            &__CONTRACT
        }
        fn dispatch(
            &self,
            __call: __rmi::Invocation,
        ) -> __rmi::BoxFuture<'_, __rmi::Outcome> {
            match __rmi::Invocation::index(&__call) {
                __index if __index == __Number::now as usize => {
                    __rmi::respond(async move {
                        let __args = __rmi::Invocation::arguments(&__call)?;
                        __rmi::ArgumentsReader::end(__args)?;
                        let __service = __rmi::Instances::get(
                            &self.__instances,
                            &__call,
                        )?;
                        let __finish = __rmi::finish::<Result<u64, ClockError>>;
                        __rmi::Ok(
                            __finish(&__call, <__S as Clock>::now(&*__service).await),
                        )
                    })
                }
                _ => __rmi::no_such_method(__call),
            }
        }
    }
};
