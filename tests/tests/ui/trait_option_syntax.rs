use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote(name: "dog", version = "1.0")]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
