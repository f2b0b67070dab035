use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

#[derive(Default)]
struct Kennel;

#[remote(server = false)]
impl Dog for Kennel {
    async fn bark(&self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
