use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

struct Kennel;

impl Dog for Kennel {
    async fn bark(&self) -> Result<(), Failure> {
        let bone = std::rc::Rc::new(1);
        std::future::ready(()).await;
        drop(bone);
        Ok(())
    }
}

fn main() {}
