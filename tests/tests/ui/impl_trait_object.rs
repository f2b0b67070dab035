use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

trait Pet: Send + Sync {}

#[remote]
impl Dog for dyn Pet {
    async fn bark(&self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
