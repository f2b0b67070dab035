use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

struct Kennel<T>(T);

#[remote(new = "open", per_request)]
impl<T: Send + Sync + 'static> Dog for Kennel<T> {
    #[remote(timeout = "1s")]
    async fn bark(&self) -> Result<(), Failure> {
        Ok(())
    }
}

// The implementation is there all the same.
fn _uses(kennel: Kennel<u8>) {
    drop(kennel.bark());
}

fn main() {}
