pub(crate) trait Scan: ::rmi_core::__private::Send + ::rmi_core::__private::Sync + 'static {
    /// Probes every address of a pool.
    fn scan(
        &self,
        cx: &Context<Probe>,
        pool: &str,
        limits: Limits,
        attempts: u8,
    ) -> impl ::rmi_core::__private::Future<
        Output = Result<Summary, ScanError>,
    > + ::rmi_core::__private::Send;
    /// Forgets what was found; nobody waits for it.
    fn forget(
        &self,
        cx: &Context,
        id: &Id,
    ) -> impl ::rmi_core::__private::Future<Output = ()> + ::rmi_core::__private::Send;
}
/// Calls a [`Scan`] that is served elsewhere.
#[derive(::rmi_core::__private::Clone)]
#[allow(dead_code)]
pub(crate) struct ScanClient {
    __stub: ::rmi_core::__private::Stub,
}
/// Serves any [`Scan`].
#[allow(dead_code)]
pub(crate) struct ScanServer<S> {
    __instances: ::rmi_core::__private::Instances<S>,
}
const _: () = {
    use ::rmi_core::__private as __rmi;
    #[allow(unused_imports)]
    use ::rmi_core::__private::Fallback as _;
    #[allow(non_camel_case_types)]
    enum __Number {
        scan,
        forget,
    }
    static __CONTRACT: __rmi::Contract = __rmi::Contract::new(
            "Scan",
            __rmi::Version {
                major: 1u16,
                minor: 0u16,
            },
            &[
                __rmi::Method::new(
                        "scan",
                        &[
                            __rmi::Param::new("pool", "&str")
                                .probed(
                                    <__rmi::Probe<str>>::OMITTED,
                                    <__rmi::Probe<str>>::SCHEMA,
                                )
                                .with_default("\"10.0.0.0/24\""),
                            __rmi::Param::new("limits", "Limits")
                                .probed(
                                    <__rmi::Probe<Limits>>::OMITTED,
                                    <__rmi::Probe<Limits>>::SCHEMA,
                                )
                                .with_default("Default::default()"),
                            __rmi::Param::new("attempts", "u8")
                                .probed(
                                    <__rmi::Probe<u8>>::OMITTED,
                                    <__rmi::Probe<u8>>::SCHEMA,
                                )
                                .with_default("3 + 1"),
                        ],
                    )
                    .docs("Probes every address of a pool.")
                    .named()
                    .returns(
                        <Result<Summary, ScanError> as __rmi::MethodResult>::RETURNED,
                        "Summary",
                        "ScanError",
                        <__rmi::Probe<
                            <Result<Summary, ScanError> as __rmi::MethodResult>::Ok,
                        >>::SCHEMA,
                    )
                    .progress(
                        <Context<Probe> as __rmi::ContextArgument>::DETAILS,
                        "Probe",
                        <__rmi::Probe<
                            <Context<Probe> as __rmi::ContextArgument>::Progress,
                        >>::SCHEMA,
                    )
                    .timeout_millis(600000u64),
                __rmi::Method::new(
                        "forget",
                        &[
                            __rmi::Param::new("id", "&Id")
                                .probed(
                                    <__rmi::Probe<Id>>::OMITTED,
                                    <__rmi::Probe<Id>>::SCHEMA,
                                ),
                        ],
                    )
                    .docs("Forgets what was found; nobody waits for it.")
                    .named()
                    .oneway()
                    .progress(
                        <Context as __rmi::ContextArgument>::DETAILS,
                        "",
                        <__rmi::Probe<
                            <Context as __rmi::ContextArgument>::Progress,
                        >>::SCHEMA,
                    ),
            ],
        )
        .path(__rmi::concat!(__rmi::module_path!(), "::Scan"))
        .events(<ScanEvent as __rmi::RemoteEvent>::EVENTS);
    #[allow(dead_code, clippy::type_complexity)]
    impl ScanClient {
        /// Probes every address of a pool.
        pub fn scan(
            &self,
            pool: &str,
            limits: Limits,
            attempts: u8,
        ) -> __rmi::Call<
            <Result<Summary, ScanError> as __rmi::MethodResult>::Ok,
            <Result<Summary, ScanError> as __rmi::MethodResult>::Err,
            <Context<Probe> as __rmi::ContextArgument>::Progress,
        > {
            const __METHOD: &__rmi::Method = &__CONTRACT
                .methods[__Number::scan as usize];
            let mut __args = __rmi::ArgumentsWriter::new(__METHOD);
            __rmi::ArgumentsWriter::push::<str>(&mut __args, pool);
            __rmi::ArgumentsWriter::push::<Limits>(&mut __args, &limits);
            __rmi::ArgumentsWriter::push::<u8>(&mut __args, &attempts);
            __rmi::call::<
                Result<Summary, ScanError>,
                <Context<Probe> as __rmi::ContextArgument>::Progress,
            >(&self.__stub, __METHOD, __args)
        }
        /// Forgets what was found; nobody waits for it.
        pub fn forget(&self, id: &Id) -> __rmi::OneWay {
            const __METHOD: &__rmi::Method = &__CONTRACT
                .methods[__Number::forget as usize];
            let mut __args = __rmi::ArgumentsWriter::new(__METHOD);
            __rmi::ArgumentsWriter::push::<Id>(&mut __args, id);
            __rmi::Stub::one_way(&self.__stub, __METHOD, __args)
        }
    }
    impl __rmi::Client for ScanClient {
        const CONTRACT: &'static __rmi::Contract = &__CONTRACT;
        fn from_stub(__stub: __rmi::Stub) -> Self {
            Self { __stub }
        }
        fn stub(&self) -> &__rmi::Stub {
            &self.__stub
        }
    }
    impl __rmi::Debug for ScanClient {
        fn fmt(&self, __f: &mut __rmi::Formatter<'_>) -> __rmi::FmtResult {
            __rmi::debug(__f, "ScanClient", &self.__stub)
        }
    }
    #[allow(dead_code)]
    impl<S> ScanServer<S> {
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
    impl<S> __rmi::Debug for ScanServer<S> {
        fn fmt(&self, __f: &mut __rmi::Formatter<'_>) -> __rmi::FmtResult {
            __rmi::debug(__f, "ScanServer", &self.__instances)
        }
    }
    impl<__S: Scan> __rmi::Server for ScanServer<__S> {
        type Instance = __S;
        const CONTRACT: &'static __rmi::Contract = &__CONTRACT;
        fn of(__instances: __rmi::Instances<__S>) -> Self {
            Self { __instances }
        }
    }
    impl<__S: Scan> __rmi::Service for ScanServer<__S> {
        fn contract(&self) -> &'static __rmi::Contract {
            &__CONTRACT
        }
        fn dispatch(
            &self,
            __call: __rmi::Invocation,
        ) -> __rmi::BoxFuture<'_, __rmi::Outcome> {
            match __rmi::Invocation::index(&__call) {
                __index if __index == __Number::scan as usize => {
                    __rmi::respond(async move {
                        let mut __args = __rmi::Invocation::arguments(&__call)?;
                        let __arg0 = <Context<
                            Probe,
                        > as __rmi::ContextArgument>::of(&__call);
                        let __arg1 = __rmi::ArgumentsReader::optional::<
                            <str as __rmi::ToOwned>::Owned,
                        >(
                            &mut __args,
                            "pool",
                            || <str as __rmi::ToOwned>::to_owned("10.0.0.0/24"),
                        )?;
                        let __arg2 = __rmi::ArgumentsReader::optional::<
                            Limits,
                        >(&mut __args, "limits", __rmi::Default::default)?;
                        let __arg3 = __rmi::ArgumentsReader::optional::<
                            u8,
                        >(&mut __args, "attempts", || 3 + 1)?;
                        __rmi::ArgumentsReader::end(__args)?;
                        let __service = __rmi::Instances::get(
                            &self.__instances,
                            &__call,
                        )?;
                        let __finish = __rmi::finish::<Result<Summary, ScanError>>;
                        __rmi::Ok(
                            __finish(
                                &__call,
                                <__S as Scan>::scan(
                                        &*__service,
                                        &__arg0,
                                        __rmi::lend::<str>(&__arg1),
                                        __arg2,
                                        __arg3,
                                    )
                                    .await,
                            ),
                        )
                    })
                }
                __index if __index == __Number::forget as usize => {
                    __rmi::respond(async move {
                        let mut __args = __rmi::Invocation::arguments(&__call)?;
                        let __arg0 = <Context as __rmi::ContextArgument>::of(&__call);
                        let __arg1 = __rmi::ArgumentsReader::required::<
                            <Id as __rmi::ToOwned>::Owned,
                        >(&mut __args, "id")?;
                        __rmi::ArgumentsReader::end(__args)?;
                        let __service = __rmi::Instances::get(
                            &self.__instances,
                            &__call,
                        )?;
                        let __finish = __rmi::finish::<()>;
                        __rmi::Ok(
                            __finish(
                                &__call,
                                <__S as Scan>::forget(
                                        &*__service,
                                        &__arg0,
                                        __rmi::lend::<Id>(&__arg1),
                                    )
                                    .await,
                            ),
                        )
                    })
                }
                _ => __rmi::no_such_method(__call),
            }
        }
    }
};
