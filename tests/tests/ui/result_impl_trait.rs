use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn names(&self) -> Result<impl Iterator<Item = u8>, Failure>;
}

fn main() {}
