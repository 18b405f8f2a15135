"""The Tertium client: sends detections of video streams to a Tertium server and hands back its decisions."""
