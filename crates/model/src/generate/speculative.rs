pub struct Draft;
pub struct Speculative;
