use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self, words: Option<&str>) -> Result<(), Failure>;
}

fn main() {}
