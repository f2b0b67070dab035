//! The macros under `no_implicit_prelude`, with every lint denied.
#![no_implicit_prelude]
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused, nonstandard_style)]
#![forbid(unsafe_code)]

/// An error.
#[derive(::std::fmt::Debug, ::rmi_core::RemoteError)]
pub enum Failure {
    /// With a name.
    Named {
        /// What went wrong.
        what: ::std::string::String,
    },
    /// Without.
    Unnamed(::std::primitive::u8),
    /// With nothing.
    Unit,
}

impl ::std::fmt::Display for Failure {
    fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
        ::std::fmt::Formatter::write_str(f, "failure")
    }
}

/// An event.
#[derive(::std::fmt::Debug, ::rmi_core::RemoteEvent)]
pub enum Happened {
    /// With fields.
    #[remote(key = "happened.{who}")]
    Something {
        /// Who did it.
        who: ::std::string::String,
        /// What it was.
        #[remote(default)]
        what: ::std::primitive::u8,
    },
    /// Without.
    #[remote(key = "nothing")]
    Nothing,
}

/// A service.
#[::rmi_core::remote(events = Happened)]
pub trait Dog {
    /// Says something.
    #[remote(idempotent, timeout = "1s")]
    async fn bark(
        &self,
        #[remote(context)] cx: &::rmi_core::Context<::std::primitive::u8>,
        words: &str,
        #[remote(default = 3)] times: u8,
    ) -> ::std::result::Result<::std::string::String, Failure>;

    /// Hears something.
    #[remote(oneway)]
    async fn hear(&self, #[remote(default)] noise: &[u8]);

    /// Does what dogs do.
    async fn rest(&self) -> ::std::result::Result<(), Failure> {
        ::std::result::Result::Ok(())
    }
}

#[derive(::std::fmt::Debug)]
struct Kennel;

impl Dog for Kennel {
    async fn bark(
        &self,
        _: &::rmi_core::Context<u8>,
        words: &str,
        _: u8,
    ) -> ::std::result::Result<::std::string::String, Failure> {
        ::std::result::Result::Ok(::std::convert::From::from(words))
    }

    async fn hear(&self, _: &[u8]) {}
}

#[::core::prelude::v1::test]
fn it_is_served() {
    let server = DogServer::new(Kennel);
    let contract = ::rmi_core::service::Service::contract(&server);
    ::std::assert_eq!(contract.name, "Dog");
    ::std::assert_eq!(contract.methods.len(), 3);
    ::std::assert!(::std::format!("{server:?}").starts_with("DogServer(Instances::Shared"));
}
