use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark<'a>(&'a self, words: &'a str) -> Result<(), Failure>;
}

fn main() {}
