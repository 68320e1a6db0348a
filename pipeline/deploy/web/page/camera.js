/** The device's camera. */

const REASONS = {
  NotAllowedError: "The camera is not allowed: allow it for this page beside its address, and try again.",
  NotFoundError: "No camera was found: connect one, or choose a picture.",
  NotReadableError: "The camera is in use elsewhere: close what uses it, and try again.",
};

/**
 * Show the camera's picture; on a device with two cameras, that of the one at the back.
 *
 * @param {HTMLVideoElement} video
 * @returns {Promise<function(): void>} a function that switches the camera off.
 * @throws {Error} with a message for the user.
 */
export async function open(video) {
  if (!navigator.mediaDevices) {
    throw new Error("A browser gives the camera only to pages served over https, or from this machine as localhost.");
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    await video.play();
  } catch (error) {
    close(video);
    throw new Error(REASONS[error.name] ?? `The camera cannot be used (${error.message}).`);
  }
  return () => close(video);
}

function close(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}
