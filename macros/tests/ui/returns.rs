//! Return types that are rejected.

#[callboard::service]
trait Returns {
    fn alias(&self) -> std::io::Result<u32>;
    fn nameless(&self) -> Result<u32, (u32, String)>;
    fn borrowed(&self) -> &str;
    fn hidden(&self) -> impl std::fmt::Display;
    fn future(&self) -> impl std::future::Future<Output = u32>;
}

fn main() {}
