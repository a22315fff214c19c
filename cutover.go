package cutover
