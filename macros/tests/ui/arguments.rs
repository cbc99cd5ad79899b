//! Arguments that are rejected.

#[callboard::service]
trait Arguments {
    fn pattern(&self, (x, y): (u32, u32));
    fn nameless(&self, _: u32);
    fn generic<T>(&self, x: T);
    fn lifetime<'a>(&self, x: &'a str);
    fn bounds(&self, x: impl Into<String>);
    fn changed(&self, x: &mut u32);
    fn too_many(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8);
}

fn main() {}
