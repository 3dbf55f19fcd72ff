exports.handler = async (event) => ({ heard: event, channel: process.env.CHANNEL });
