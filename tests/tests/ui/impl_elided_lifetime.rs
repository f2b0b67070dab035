use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

#[derive(Default)]
struct Kennel<'a>(&'a str);

#[remote]
impl Dog for Kennel<'_> {
    async fn bark(&self) -> Result<(), Failure> {
        Ok(())
    }
}

fn main() {}
