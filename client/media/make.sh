#!/bin/bash
# Makes the test media anew, with Debian's ffmpeg and fonts-dejavu-core:  client/media/make.sh
#
# Ten seconds that can be repeated: three sizes of one picture in VP8, a keyframe each second, and a sound in Opus. The picture
# says its number from 0 to 299 and its time, for people; and for programs as a row of nine squares at its foot, white for 1,
# the lowest bit at the right. The sound is a voice-like hum with a beep at the start of every second.
set -euo pipefail
cd "$(dirname "$0")"

seconds=10 rate=30
font=/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf
quiet=(-hide_banner -loglevel error -y)

# The squares are 1/16 of the width; drawn on black so that neighbours cannot blur them together.
bits=
for bit in 0 1 2 3 4 5 6 7 8; do
  bits+=",drawbox=x=iw*(12-$bit)/16:y=ih-iw/16:w=iw/16:h=iw/16:t=fill:color=white:enable='mod(floor(n/$((1 << bit)))\,2)'"
done

picture() { # width height kb/s file
  local text="fontfile=$font:fontcolor=white:box=1:boxcolor=black"
  ffmpeg "${quiet[@]}" -f lavfi -i "testsrc2=size=$1x$2:rate=$rate:duration=$seconds" -vf "\
drawbox=x=0:y=ih-iw/16-8:w=iw:h=iw/16+8:t=fill:color=black$bits,\
drawtext=$text:fontsize=h/6:x=(w-tw)/2:y=h/5:text='%{eif\:n\:d\:3}',\
drawtext=$text:fontsize=h/10:x=(w-tw)/2:y=h/2:text='%{pts\:hms}',format=yuv420p" \
    -c:v libvpx -b:v "$3k" -maxrate "$3k" -bufsize "$(($3 / 2))k" -deadline good -cpu-used 1 -lag-in-frames 0 -auto-alt-ref 0 \
    -error-resilient 1 -g $rate -keyint_min $rate -static-thresh 0 -threads 2 -fflags +bitexact -flags:v +bitexact "$4"
}

picture 320 180 90 small.ivf
picture 640 360 250 medium.ivf
picture 1280 720 850 large.ivf

hum="0.16*sin(2*PI*140*t)*(1+0.6*sin(2*PI*4*t))+0.08*sin(2*PI*420*t)*(1+0.6*sin(2*PI*3*t))"
beep="0.25*sin(2*PI*1000*t)*lt(mod(t\,1)\,0.1)"
ffmpeg "${quiet[@]}" -f lavfi -i "aevalsrc=$hum+$beep:s=48000:d=$seconds" -ac 1 -c:a libopus -b:a 32k -frame_duration 20 \
  -application voip -fflags +bitexact -flags:a +bitexact sound.ogg

ls -l ./*.ivf ./*.ogg
test "$(cat ./*.ivf ./*.ogg | wc -c)" -le 2000000
