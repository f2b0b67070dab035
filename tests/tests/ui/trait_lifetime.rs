use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog<'a> {
    async fn bark(&self, words: &'a str) -> Result<(), Failure>;
}

fn main() {}
