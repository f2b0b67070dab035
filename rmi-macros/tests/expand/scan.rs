#[remote(params = named, events = ScanEvent)]
pub(crate) trait Scan {
    /// Probes every address of a pool.
    #[remote(timeout = "10m")]
    async fn scan(
        &self,
        #[remote(context)] cx: &Context<Probe>,
        #[remote(default = "10.0.0.0/24")] pool: &str,
        #[remote(default)] limits: Limits,
        #[remote(default = 3 + 1)] attempts: u8,
    ) -> Result<Summary, ScanError>;

    /// Forgets what was found; nobody waits for it.
    #[remote(oneway)]
    async fn forget(&self, #[remote(context)] cx: &Context, id: &Id);
}
