use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

struct Kennel;

#[remote(new = Kennel::pups)]
impl Dog for Kennel {
    async fn bark(&self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
