//! Work that blocks (files, liblxc's reading calls, other programs), beside what is asynchronous.

use crate::error::{Result, ResultExt};

/// Does it on a thread made for it, which lives as long as the work: the kernel ends some tools
/// together with the thread that started them. Dropping the future does not end the work.
///
/// # Errors
/// Those of the work; and, as `doing`, when it was cut off.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub async fn blocking<T: Send + 'static>(
    doing: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.doing(|| doing.to_owned())?
}
