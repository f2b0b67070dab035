use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

struct Kennel {
    bones: std::cell::Cell<u8>,
}

impl Dog for Kennel {
    async fn bark(&self) -> Result<(), Failure> {
        self.bones.set(1);
        Ok(())
    }
}

fn main() {}
