use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn name(&self) -> Result<&str, Failure>;
}

fn main() {}
