#[remote(sequential, client = false)]
trait Clock {
    async fn now(&self) -> Result<u64, ClockError>;
}
