//! Types that cannot be sent.

struct Plain(u32);

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Silent;

#[callboard::service]
trait Types {
    fn takes(&self, plain: Plain);
    fn gives(&self) -> Plain;
    fn fails(&self) -> Result<u32, Silent>;
    fn fails_with_a_code(&self) -> Result<u32, callboard::Error>;
}

fn main() {}
