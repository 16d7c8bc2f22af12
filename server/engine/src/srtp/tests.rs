use proptest::prelude::*;

use super::*;

mod interop;

pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).unwrap().try_into().unwrap())
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn master(profile: Profile) -> MasterKey {
    let bytes: Vec<u8> = (1..=46).collect();
    let (key, salt) = bytes.split_at(profile.key_len());
    MasterKey::new(profile, key, &salt[..profile.salt_len()]).unwrap()
}

/// A packet with a header of twelve bytes and no extension, sealed.
fn seal(outbound: &Outbound, ssrc: u32, index: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80, 96];
    out.extend_from_slice(&index.to_be_bytes()[6..]);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.resize(12 + payload.len() + outbound.profile().rtp_tag_len(), 0);
    let plain = Unsealed {
        header_len: 12,
        prefix_len: 0,
        rest: payload,
        pad: 0,
        ssrc,
        index,
    };
    assert_eq!(outbound.seal_rtp(&mut out, &plain), Some(out.len()));
    out
}

/// Opens what `seal` made.
fn open(
    inbound: &Inbound,
    stream: &mut InboundStream,
    packet: &[u8],
) -> Result<(u64, Vec<u8>), OpenError> {
    let mut out = vec![0; packet.len()];
    let seq = u16::from_be_bytes([packet[2], packet[3]]);
    let ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
    let Opened { payload_len, index } =
        inbound.open_rtp(stream, packet, 12, seq, ssrc, &mut out)?;
    out.truncate(payload_len);
    Ok((index, out))
}

fn report(ssrc: u32) -> Vec<u8> {
    let mut report = vec![0x80, 201, 0, 1];
    report.extend_from_slice(&ssrc.to_be_bytes());
    report.extend_from_slice(b"\x81\xca\x00\x02\x00\x00\x00\x01\x01\x01x\x00");
    report
}

fn any_profile() -> impl Strategy<Value = Profile> {
    prop::sample::select(&Profile::ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_was_sealed_is_opened(
        profile in any_profile(),
        header in prop::collection::vec(any::<u8>(), 12..80),
        prefix in prop::collection::vec(any::<u8>(), 0..40),
        rest in prop::collection::vec(any::<u8>(), 0..1300),
        pad: u8,
        ssrc: u32,
        index in 0..INDEX_END,
    ) {
        let outbound = Outbound::new(&master(profile));
        let mut out = [&header[..], &prefix, &[0xee; 1700]].concat();
        let plain = Unsealed { header_len: header.len(), prefix_len: prefix.len(), rest: &rest, pad, ssrc, index };
        let len = outbound.seal_rtp(&mut out, &plain).unwrap();
        let payload_len = prefix.len() + rest.len() + usize::from(pad);
        prop_assert_eq!(len, header.len() + payload_len + profile.rtp_tag_len());
        prop_assert!(out[len..].iter().all(|byte| *byte == 0xee), "nothing behind the packet is touched");
        prop_assert_eq!(&out[..header.len()], &header[..]);

        let mut stream = InboundStream::new();
        if let Some(previous) = index.checked_sub(1) {
            stream.accept(previous);
        }
        let mut payload = vec![0; 1700];
        let [.., high, low] = index.to_be_bytes();
        let seq = u16::from_be_bytes([high, low]);
        let opened = Inbound::new(&master(profile))
            .open_rtp(&mut stream, &out[..len], header.len(), seq, ssrc, &mut payload);
        prop_assert_eq!(opened, Ok(Opened { payload_len, index }));
        let mut padding = vec![0; usize::from(pad)];
        if let Some(count) = padding.last_mut() {
            *count = pad;
        }
        prop_assert_eq!(&payload[..payload_len], [&prefix[..], &rest, &padding].concat());
    }

    #[test]
    fn a_flipped_bit_is_a_forgery(profile in any_profile(), payload in prop::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index) {
        let (mut outbound, mut inbound) = (Outbound::new(&master(profile)), Inbound::new(&master(profile)));
        let mut packet = seal(&outbound, 7, 3, &payload);
        let bit = at.index(packet.len() * 8);
        packet[bit / 8] ^= 1 << (bit % 8);
        let mut stream = InboundStream::new();
        prop_assert_eq!(open(&inbound, &mut stream, &packet), Err(OpenError::Forged));
        prop_assert_eq!(stream.highest_index(), None);

        let mut compound = [report(7), payload].concat();
        outbound.seal_rtcp(&mut compound).unwrap();
        let bit = at.index(compound.len() * 8);
        compound[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(inbound.open_rtcp(&mut compound), Err(OpenError::Forged));
    }

    #[test]
    fn no_bytes_and_no_lengths_break_anything(
        profile in any_profile(),
        mut bytes in prop::collection::vec(any::<u8>(), 0..120),
        header_len in prop_oneof![0_usize..130, Just(usize::MAX)],
        room in 0_usize..120,
        pad: u8,
    ) {
        let mut inbound = Inbound::new(&master(profile));
        let mut out = vec![0; room];
        let mut stream = InboundStream::new();
        prop_assert!(inbound.open_rtp(&mut stream, &bytes, header_len, 1, 2, &mut out).is_err());
        prop_assert!(inbound.open_rtcp(&mut bytes.clone()).is_err());

        let mut outbound = Outbound::new(&master(profile));
        for prefix_len in [0, 9, usize::MAX] {
            let plain = Unsealed { header_len, prefix_len, rest: &bytes, pad, ssrc: 2, index: 1 };
            let needed = [header_len, prefix_len, bytes.len(), pad.into(), profile.rtp_tag_len()]
                .into_iter()
                .fold(0_usize, usize::saturating_add);
            let expected = (needed <= room).then_some(needed);
            prop_assert_eq!(outbound.seal_rtp(&mut out, &plain), expected);
        }
        prop_assert_eq!(outbound.seal_rtcp(&mut bytes).is_some(), bytes.len() >= 8);
    }
}

#[test]
fn a_packet_is_opened_once() {
    for profile in Profile::ALL {
        let (outbound, inbound) = (
            Outbound::new(&master(profile)),
            Inbound::new(&master(profile)),
        );
        let mut stream = InboundStream::new();
        let packet = seal(&outbound, 5, 100, b"once");
        assert_eq!(
            open(&inbound, &mut stream, &packet),
            Ok((100, b"once".to_vec()))
        );
        assert_eq!(
            open(&inbound, &mut stream, &packet),
            Err(OpenError::Replayed)
        );
        let late = seal(&outbound, 5, 99, b"late");
        assert!(open(&inbound, &mut stream, &seal(&outbound, 5, 1500, b"new")).is_ok());
        assert_eq!(open(&inbound, &mut stream, &late), Err(OpenError::TooOld));
    }
}

#[test]
fn a_forged_packet_does_not_move_the_window() {
    let (outbound, inbound) = (
        Outbound::new(&master(Profile::Aes128Gcm)),
        Inbound::new(&master(Profile::Aes128Gcm)),
    );
    let mut stream = InboundStream::new();
    assert!(open(&inbound, &mut stream, &seal(&outbound, 5, 10, b"a")).is_ok());
    let mut forged = seal(&outbound, 5, 30_000, b"b");
    forged[13] ^= 1;
    assert_eq!(open(&inbound, &mut stream, &forged), Err(OpenError::Forged));
    assert_eq!(stream.highest_index(), Some(10));
    assert!(open(&inbound, &mut stream, &seal(&outbound, 5, 11, b"c")).is_ok());
}

#[test]
fn packets_that_arrive_out_of_order_around_the_wrap_are_opened() {
    for profile in Profile::ALL {
        let (outbound, inbound) = (
            Outbound::new(&master(profile)),
            Inbound::new(&master(profile)),
        );
        let mut stream = InboundStream::new();
        for index in [
            65_533_u64, 65_537, 65_535, 65_534, 65_536, 65_538, 98_000, 130_000, 131_071, 131_073,
            131_072,
        ] {
            let packet = seal(&outbound, 5, index, &index.to_be_bytes());
            assert_eq!(
                open(&inbound, &mut stream, &packet),
                Ok((index, index.to_be_bytes().to_vec()))
            );
        }
        assert_eq!(stream.highest_index(), Some(131_073));
    }
}

#[test]
fn a_payload_that_does_not_fit_its_slot_is_refused() {
    let packet = seal(&Outbound::new(&master(Profile::Aes128Gcm)), 5, 1, &[1; 100]);
    let inbound = Inbound::new(&master(Profile::Aes128Gcm));
    let opened = inbound.open_rtp(&mut InboundStream::new(), &packet, 12, 1, 5, &mut [0; 99]);
    assert_eq!(opened, Err(OpenError::TooLong));
}

#[test]
fn no_index_is_used_beyond_the_last() {
    for profile in Profile::ALL {
        let mut outbound = Outbound::new(&master(profile));
        let mut out = [0; 64];
        let mut plain = Unsealed {
            header_len: 12,
            prefix_len: 0,
            rest: b"x",
            pad: 0,
            ssrc: 1,
            index: INDEX_END - 1,
        };
        assert!(outbound.seal_rtp(&mut out, &plain).is_some());
        plain.index = INDEX_END;
        assert_eq!(outbound.seal_rtp(&mut out, &plain), None);

        outbound.exhaust_rtcp();
        assert!(outbound.seal_rtcp(&mut report(1)).is_some());
        assert_eq!(outbound.seal_rtcp(&mut report(1)), None);
    }
}

#[test]
fn a_compound_is_opened_once_and_each_sender_counts_on_its_own() {
    for profile in Profile::ALL {
        let (mut outbound, mut inbound) = (
            Outbound::new(&master(profile)),
            Inbound::new(&master(profile)),
        );
        let mut other = Outbound::new(&master(profile));
        let mut sealed = report(1);
        assert_eq!(
            outbound.seal_rtcp(&mut sealed),
            Some(report(1).len() + profile.rtcp_overhead())
        );
        assert_eq!(inbound.open_rtcp(&mut sealed.clone()), Ok(&report(1)[..]));
        assert_eq!(
            inbound.open_rtcp(&mut sealed.clone()),
            Err(OpenError::Replayed)
        );
        let mut same_index = report(2);
        other.seal_rtcp(&mut same_index).unwrap();
        assert_eq!(inbound.open_rtcp(&mut same_index), Ok(&report(2)[..]));
    }
}

#[test]
fn of_too_many_rtcp_senders_the_most_silent_is_forgotten() {
    let (mut outbound, mut inbound) = (
        Outbound::new(&master(Profile::Aes128Gcm)),
        Inbound::new(&master(Profile::Aes128Gcm)),
    );
    let mut first = Vec::new();
    for sender in 0..65 {
        let mut sealed = report(sender);
        outbound.seal_rtcp(&mut sealed).unwrap();
        first.push(sealed.clone());
        assert!(inbound.open_rtcp(&mut sealed).is_ok());
        if sender == 40 {
            let mut again = report(0);
            outbound.seal_rtcp(&mut again).unwrap();
            assert!(inbound.open_rtcp(&mut again).is_ok());
        }
    }
    assert_eq!(
        inbound.open_rtcp(&mut first[0].clone()),
        Err(OpenError::Replayed),
        "was heard again meanwhile"
    );
    assert_eq!(
        inbound.open_rtcp(&mut first[2].clone()),
        Err(OpenError::Replayed)
    );
    assert!(
        inbound.open_rtcp(&mut first[1].clone()).is_ok(),
        "the one that was forgotten"
    );
}

#[test]
fn a_profile_is_found_by_its_number() {
    for profile in Profile::ALL {
        assert_eq!(Profile::from_dtls_id(profile.dtls_id()), Some(profile));
    }
    assert_eq!(Profile::from_dtls_id(2), None, "32-bit tags are not spoken");
}
