pub struct Freeze;
pub struct Wave;
pub struct Wavefront;
