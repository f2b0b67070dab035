use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote(nmae = "dog")]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
