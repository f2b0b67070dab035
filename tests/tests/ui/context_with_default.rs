use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self, #[remote(context, default)] cx: &rmi_core::Context) -> Result<(), Failure>;
}

fn main() {}
