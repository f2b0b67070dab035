use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote(rename_all = "camel")]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
