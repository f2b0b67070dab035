use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote(params = keyword)]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
