/// A dog that takes calls.
///
/// One per kennel.
pub trait Dog: Animal + ::rmi_core::__private::Send + ::rmi_core::__private::Sync + 'static {
    /// Says something.
    fn bark(
        &self,
        words: &str,
    ) -> impl ::rmi_core::__private::Future<
        Output = Result<String, DogError>,
    > + ::rmi_core::__private::Send;
    /// Learns tricks, and says how many it knows then.
    fn learn_tricks(
        &self,
        new_tricks: &[Trick],
        kind: Kind,
    ) -> impl ::rmi_core::__private::Future<
        Output = Learned,
    > + ::rmi_core::__private::Send;
    /// Rests, unless there is something better to do.
    #[cfg(feature = "rest")]
    #[deprecated = "dogs do that anyway"]
    fn rest(
        &self,
        r#for: Option<u32>,
    ) -> impl ::rmi_core::__private::Future<
        Output = Result<(), Infallible>,
    > + ::rmi_core::__private::Send {
        async move {
            let _ = r#for;
            Ok(())
        }
    }
}
/// Calls a [`Dog`] that is served elsewhere.
#[derive(::rmi_core::__private::Clone)]
#[allow(dead_code)]
pub struct DogClient {
    __stub: ::rmi_core::__private::Stub,
}
/// Serves any [`Dog`].
#[allow(dead_code)]
pub struct DogServer<S> {
    __instances: ::rmi_core::__private::Instances<S>,
}
#[allow(deprecated)]
const _: () = {
    use ::rmi_core::__private as __rmi;
    #[allow(unused_imports)]
    use ::rmi_core::__private::Fallback as _;
    #[allow(non_camel_case_types)]
    enum __Number {
        bark,
        learn_tricks,
        #[cfg(feature = "rest")]
        rest,
    }
    static __CONTRACT: __rmi::Contract = __rmi::Contract::new(
            "dog",
            __rmi::Version {
                major: 1u16,
                minor: 2u16,
            },
            &[
                __rmi::Method::new(
                        "bark",
                        &[
                            __rmi::Param::new("words", "&str")
                                .probed(
                                    <__rmi::Probe<str>>::OMITTED,
                                    <__rmi::Probe<str>>::SCHEMA,
                                ),
                        ],
                    )
                    .docs("Says something.")
                    .idempotent()
                    .returns(
                        <Result<String, DogError> as __rmi::MethodResult>::RETURNED,
                        "String",
                        "DogError",
                        <__rmi::Probe<
                            <Result<String, DogError> as __rmi::MethodResult>::Ok,
                        >>::SCHEMA,
                    )
                    .timeout_millis(1000u64)
                    .ttl_millis(500u64),
                __rmi::Method::new(
                        "learn",
                        &[
                            __rmi::Param::new("newTricks", "&[Trick]")
                                .probed(
                                    <__rmi::Probe<[Trick]>>::OMITTED,
                                    <__rmi::Probe<[Trick]>>::SCHEMA,
                                ),
                            __rmi::Param::new("type", "Kind")
                                .probed(
                                    <__rmi::Probe<Kind>>::OMITTED,
                                    <__rmi::Probe<Kind>>::SCHEMA,
                                ),
                        ],
                    )
                    .aliases(&["teach", "train"])
                    .docs("Learns tricks, and says how many it knows then.")
                    .named()
                    .returns(
                        <Learned as __rmi::MethodResult>::RETURNED,
                        "",
                        "",
                        <__rmi::Probe<<Learned as __rmi::MethodResult>::Ok>>::SCHEMA,
                    ),
                #[cfg(feature = "rest")]
                __rmi::Method::new(
                        "rest",
                        &[
                            __rmi::Param::new("for", "Option<u32>")
                                .probed(
                                    <__rmi::Probe<Option<u32>>>::OMITTED,
                                    <__rmi::Probe<Option<u32>>>::SCHEMA,
                                ),
                        ],
                    )
                    .docs("Rests, unless there is something better to do.")
                    .since(__rmi::Version {
                        major: 1u16,
                        minor: 2u16,
                    })
                    .deprecated("dogs do that anyway")
                    .returns(
                        <Result<(), Infallible> as __rmi::MethodResult>::RETURNED,
                        "()",
                        "Infallible",
                        <__rmi::Probe<
                            <Result<(), Infallible> as __rmi::MethodResult>::Ok,
                        >>::SCHEMA,
                    )
                    .inline(),
            ],
        )
        .path(__rmi::concat!(__rmi::module_path!(), "::Dog"))
        .docs("A dog that takes calls.\n\nOne per kennel.");
    #[allow(dead_code, clippy::type_complexity)]
    impl DogClient {
        /// Says something.
        pub fn bark(
            &self,
            words: &str,
        ) -> __rmi::Call<
            <Result<String, DogError> as __rmi::MethodResult>::Ok,
            <Result<String, DogError> as __rmi::MethodResult>::Err,
        > {
            const __METHOD: &__rmi::Method = &__CONTRACT
                .methods[__Number::bark as usize];
            let mut __args = __rmi::ArgumentsWriter::new(__METHOD);
            __rmi::ArgumentsWriter::push::<str>(&mut __args, words);
            __rmi::call::<Result<String, DogError>, _>(&self.__stub, __METHOD, __args)
        }
        /// Learns tricks, and says how many it knows then.
        pub fn learn_tricks(
            &self,
            new_tricks: &[Trick],
            kind: Kind,
        ) -> __rmi::Call<
            <Learned as __rmi::MethodResult>::Ok,
            <Learned as __rmi::MethodResult>::Err,
        > {
            const __METHOD: &__rmi::Method = &__CONTRACT
                .methods[__Number::learn_tricks as usize];
            let mut __args = __rmi::ArgumentsWriter::new(__METHOD);
            __rmi::ArgumentsWriter::push::<[Trick]>(&mut __args, new_tricks);
            __rmi::ArgumentsWriter::push::<Kind>(&mut __args, &kind);
            __rmi::call::<Learned, _>(&self.__stub, __METHOD, __args)
        }
        /// Rests, unless there is something better to do.
        #[cfg(feature = "rest")]
        #[deprecated = "dogs do that anyway"]
        pub fn rest(
            &self,
            r#for: Option<u32>,
        ) -> __rmi::Call<
            <Result<(), Infallible> as __rmi::MethodResult>::Ok,
            <Result<(), Infallible> as __rmi::MethodResult>::Err,
        > {
            const __METHOD: &__rmi::Method = &__CONTRACT
                .methods[__Number::rest as usize];
            let mut __args = __rmi::ArgumentsWriter::new(__METHOD);
            __rmi::ArgumentsWriter::push::<Option<u32>>(&mut __args, &r#for);
            __rmi::call::<Result<(), Infallible>, _>(&self.__stub, __METHOD, __args)
        }
    }
    impl __rmi::Client for DogClient {
        const CONTRACT: &'static __rmi::Contract = &__CONTRACT;
        fn from_stub(__stub: __rmi::Stub) -> Self {
            Self { __stub }
        }
        fn stub(&self) -> &__rmi::Stub {
            &self.__stub
        }
    }
    impl __rmi::Debug for DogClient {
        fn fmt(&self, __f: &mut __rmi::Formatter<'_>) -> __rmi::FmtResult {
            __rmi::debug(__f, "DogClient", &self.__stub)
        }
    }
    #[allow(dead_code)]
    impl<S> DogServer<S> {
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
    impl<S> __rmi::Debug for DogServer<S> {
        fn fmt(&self, __f: &mut __rmi::Formatter<'_>) -> __rmi::FmtResult {
            __rmi::debug(__f, "DogServer", &self.__instances)
        }
    }
    impl<__S: Dog> __rmi::Server for DogServer<__S> {
        type Instance = __S;
        const CONTRACT: &'static __rmi::Contract = &__CONTRACT;
        fn of(__instances: __rmi::Instances<__S>) -> Self {
            Self { __instances }
        }
    }
    impl<__S: Dog> __rmi::Service for DogServer<__S> {
        fn contract(&self) -> &'static __rmi::Contract {
            &__CONTRACT
        }
        fn dispatch(
            &self,
            __call: __rmi::Invocation,
        ) -> __rmi::BoxFuture<'_, __rmi::Outcome> {
            match __rmi::Invocation::index(&__call) {
                __index if __index == __Number::bark as usize => {
                    __rmi::respond(async move {
                        let mut __args = __rmi::Invocation::arguments(&__call)?;
                        let __arg0 = __rmi::ArgumentsReader::required::<
                            <str as __rmi::ToOwned>::Owned,
                        >(&mut __args, "words")?;
                        __rmi::ArgumentsReader::end(__args)?;
                        let __service = __rmi::Instances::get(
                            &self.__instances,
                            &__call,
                        )?;
                        let __finish = __rmi::finish::<Result<String, DogError>>;
                        __rmi::Ok(
                            __finish(
                                &__call,
                                <__S as Dog>::bark(&*__service, __rmi::lend::<str>(&__arg0))
                                    .await,
                            ),
                        )
                    })
                }
                __index if __index == __Number::learn_tricks as usize => {
                    __rmi::respond(async move {
                        let mut __args = __rmi::Invocation::arguments(&__call)?;
                        let __arg0 = __rmi::ArgumentsReader::required::<
                            <[Trick] as __rmi::ToOwned>::Owned,
                        >(&mut __args, "newTricks")?;
                        let __arg1 = __rmi::ArgumentsReader::required::<
                            Kind,
                        >(&mut __args, "type")?;
                        __rmi::ArgumentsReader::end(__args)?;
                        let __service = __rmi::Instances::get(
                            &self.__instances,
                            &__call,
                        )?;
                        let __finish = __rmi::finish::<Learned>;
                        __rmi::Ok(
                            __finish(
                                &__call,
                                <__S as Dog>::learn_tricks(
                                        &*__service,
                                        __rmi::lend::<[Trick]>(&__arg0),
                                        __arg1,
                                    )
                                    .await,
                            ),
                        )
                    })
                }
                #[cfg(feature = "rest")]
                __index if __index == __Number::rest as usize => {
                    __rmi::respond(async move {
                        let mut __args = __rmi::Invocation::arguments(&__call)?;
                        let __arg0 = __rmi::ArgumentsReader::required::<
                            Option<u32>,
                        >(&mut __args, "for")?;
                        __rmi::ArgumentsReader::end(__args)?;
                        let __service = __rmi::Instances::get(
                            &self.__instances,
                            &__call,
                        )?;
                        let __finish = __rmi::finish::<Result<(), Infallible>>;
                        __rmi::Ok(
                            __finish(
                                &__call,
                                <__S as Dog>::rest(&*__service, __arg0).await,
                            ),
                        )
                    })
                }
                _ => __rmi::no_such_method(__call),
            }
        }
    }
};
