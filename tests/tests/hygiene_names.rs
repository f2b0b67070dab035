//! Names of the user's that could be mistaken for the generated code's own.
#![deny(warnings, clippy::all)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rmi_core::{Client, remote, service::Service as _};

/// Everything that the prelude has, as something else.
mod shadows {
    #![allow(dead_code, non_snake_case, non_upper_case_globals, unreachable_pub)]
    use ::rmi_core::{message::Exception, remote};

    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct String(pub u8);
    #[derive(::std::clone::Clone, serde::Serialize, serde::Deserialize)]
    pub struct Option(u8);
    pub type Result = ::std::result::Result<String, Exception>;
    pub struct Send;
    pub struct Sync;
    pub struct Clone;
    pub struct Debug;
    pub struct Default;
    pub struct Box;
    pub struct Vec;
    pub struct Call;
    pub struct Client;
    pub struct Service;
    pub struct Method;
    pub struct Contract;
    pub struct Future;
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct S;
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct A;
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct E;
    pub fn Ok() {}
    pub fn Err() {}
    pub fn Some() {}
    pub const None: () = ();
    pub mod core {}
    pub mod std {}
    pub mod rmi_core {}

    #[remote]
    pub trait Shadowed {
        async fn none(&self, string: String, option: &Option) -> Result;
        async fn some(&self, s: S, a: A, e: E) -> Result;
    }
}

#[remote]
trait Clashing {
    async fn new(&self, args: u8) -> Result<u8, Failure>;
    async fn clone(&self, call: &str) -> Result<u8, Failure>;
    async fn call(&self, index: u8, service: u8) -> Result<u8, Failure>;
    async fn stub(&self, stub: u8) -> Result<u8, Failure>;
    async fn from_stub(&self) -> Result<u8, Failure>;
    async fn fmt(&self, f: u8, __f: u8) -> Result<u8, Failure>;
    async fn contract(&self) -> Result<u8, Failure>;
    async fn dispatch(&self, __call: u8, __args: u8, __service: u8, __arg0: u8, __index: u8) -> Result<u8, Failure>;
    async fn index(&self) -> Result<u8, Failure>;
    async fn per_call(&self) -> Result<u8, Failure>;
    async fn borrow(&self) -> Result<u8, Failure>;
    async fn r#type(&self, r#match: u8, r#fn: &str) -> Result<u8, Failure>;
    async fn into(&self) -> Result<u8, Failure>;
    async fn to_string(&self) -> Result<u8, Failure>;
    #[allow(non_snake_case)]
    async fn CONTRACT(&self) -> Result<u8, Failure>;
}

type Failure = std::convert::Infallible;

struct Everything;

impl Clashing for Everything {
    async fn new(&self, args: u8) -> Result<u8, Failure> {
        Ok(args)
    }
    async fn clone(&self, _: &str) -> Result<u8, Failure> {
        Ok(0)
    }
    async fn call(&self, _: u8, _: u8) -> Result<u8, Failure> {
        Ok(0)
    }
    async fn stub(&self, stub: u8) -> Result<u8, Failure> {
        Ok(stub)
    }
    async fn from_stub(&self) -> Result<u8, Failure> {
        Ok(0)
    }
    async fn fmt(&self, _: u8, _: u8) -> Result<u8, Failure> {
        Ok(0)
    }
    async fn contract(&self) -> Result<u8, Failure> {
        Ok(0)
    }
    async fn dispatch(&self, _: u8, _: u8, _: u8, _: u8, _: u8) -> Result<u8, Failure> {
        Ok(0)
    }
    async fn index(&self) -> Result<u8, Failure> {
        Ok(0)
    }
    async fn per_call(&self) -> Result<u8, Failure> {
        Ok(0)
    }
    async fn borrow(&self) -> Result<u8, Failure> {
        Ok(0)
    }
    async fn r#type(&self, _: u8, _: &str) -> Result<u8, Failure> {
        Ok(0)
    }
    async fn into(&self) -> Result<u8, Failure> {
        Ok(0)
    }
    async fn to_string(&self) -> Result<u8, Failure> {
        Ok(0)
    }
    #[allow(non_snake_case)]
    async fn CONTRACT(&self) -> Result<u8, Failure> {
        Ok(0)
    }
}

/// A trait of the user's that every type has, with the names of the generated code's own methods, by value.
#[allow(dead_code)]
trait Everywhere: Sized {
    fn push(self) {}
    fn finish(self) {}
    fn required(self) {}
    fn end(self) {}
    fn index(self) {}
    fn arguments(self) {}
    fn get(self) {}
}
impl<T> Everywhere for T {}

#[test]
fn a_client_has_the_users_methods_only() {
    fn calls(client: &ClashingClient) {
        drop(client.new(1));
        drop(client.clone("words"));
        drop(client.call(1, 2));
        drop(client.stub(1));
        drop(client.from_stub());
        drop(client.fmt(1, 2));
        drop(client.dispatch(1, 2, 3, 4, 5));
        drop(client.r#type(1, "f"));
        drop(client.into());
        drop(client.CONTRACT());
    }
    let _ = calls;
    let contract = <ClashingClient as Client>::CONTRACT;
    let names: Vec<_> = contract.methods.iter().map(|m| m.name).collect();
    assert!(names.contains(&"type") && names.contains(&"new"), "{names:?}");
    let method = contract.methods.iter().find(|m| m.name == "type").unwrap();
    assert_eq!(method.params.iter().map(|p| p.name).collect::<Vec<_>>(), ["match", "fn"]);
    assert_eq!(ClashingServer::new(Everything).contract().name, "Clashing");
}

#[test]
fn a_trait_may_be_local_to_a_function() {
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Local(u8);

    #[derive(Debug, thiserror::Error, rmi_core::RemoteError)]
    #[error("local")]
    struct LocalError(u8);

    #[remote]
    trait Inner {
        async fn take(&self, local: &Local) -> Result<Local, LocalError>;
    }

    struct Taker;
    impl Inner for Taker {
        async fn take(&self, local: &Local) -> Result<Local, LocalError> {
            if local.0 == 0 { Err(LocalError(local.0)) } else { Ok(local.clone()) }
        }
    }
    assert_eq!(InnerServer::new(Taker).contract().methods[0].params[0].ty, "&Local");
}

#[test]
fn a_trait_may_be_written_by_a_macro() {
    macro_rules! service {
        ($trait:ident, $method:ident, $argument:ident: $ty:ty, $result:ty, $default:expr, $name:literal) => {
            #[remote(name = $name)]
            trait $trait {
                async fn $method(&self, #[remote(default = $default)] $argument: $ty) -> $result;
            }
            impl $trait for Everything {
                async fn $method(&self, $argument: $ty) -> $result {
                    let _ = $argument;
                    Ok(1)
                }
            }
        };
    }
    service!(Made, make, what: &str, Result<u8, Failure>, "nothing", "made");
    let contract = MadeServer::new(Everything).contract();
    assert_eq!((contract.name, contract.methods[0].params[0].ty), ("made", "&str"));
    assert!(contract.methods[0].params[0].default);
    let _ = shadows::ShadowedClient::CONTRACT;
}
