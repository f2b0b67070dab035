use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self, #[remote(context)] cx: &String) -> Result<(), Failure>;
}

fn main() {}
