use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn name<'a>(&self) -> Result<std::borrow::Cow<'a, str>, Failure>;
}

fn main() {}
