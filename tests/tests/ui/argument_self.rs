use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self, other: Box<Self>) -> Result<(), Failure>;
}

fn main() {}
