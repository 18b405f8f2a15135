"""The Tertium server: detections of video streams in, calibrated YES, NO or MAYBE out."""
