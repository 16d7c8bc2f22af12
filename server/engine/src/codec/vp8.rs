//! stub
pub(super) fn peek(_payload: &[u8], _marker: bool) -> Option<super::Peek> {
    None
}
pub(super) fn descriptor_len(_payload: &[u8]) -> usize {
    0
}
pub(super) fn patch(_head: &mut [u8], _picture_id: u16, _tl0: u8) {}
