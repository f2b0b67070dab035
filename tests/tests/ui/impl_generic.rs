use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

#[derive(Default)]
struct Kennel<T>(T);

#[remote]
impl<T: Send + Sync + 'static> Dog for Kennel<T> {
    async fn bark(&self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
