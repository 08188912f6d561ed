/** For whom recordings are encrypted where that is measured: nobody, for its secret key was not kept. */
export const RECIPIENT = 'age1vzl0cqqly9esrrgmfc39xf05wx38gw5ce5t9yz77y742ea6ysfcs6nuzd6';
