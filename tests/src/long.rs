//! How much is tried: an ordinary run of the suites has a minute for what the long form (`RMI_TEST_LONG=1`) does for hours.

/// Whether the long form is wanted.
#[must_use]
pub fn is_long() -> bool {
    std::env::var("RMI_TEST_LONG").is_ok_and(|long| long == "1")
}

/// So much ordinarily, and so much in the long form.
#[must_use]
pub fn ordinarily_or_long<T>(ordinarily: T, long: T) -> T {
    if is_long() { long } else { ordinarily }
}
