use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

struct Kennel;

fn open() -> Kennel {
    Kennel
}

#[remote(new = open())]
impl Dog for Kennel {
    async fn bark(&self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
