use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

struct Kennel;

struct Args;

fn open(_: Args) -> Kennel {
    Kennel
}

#[remote(new = open, per_call)]
impl Dog for Kennel {
    async fn bark(&self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
