//! stub
pub(super) fn peek(_payload: &[u8], _marker: bool) -> Option<super::Peek> {
    None
}
