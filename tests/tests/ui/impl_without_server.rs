use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote(server = false)]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

#[derive(Default)]
struct Kennel;

#[remote]
impl Dog for Kennel {
    async fn bark(&self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
